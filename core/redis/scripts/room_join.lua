-- room_join: adds an attachment to a client's entry, or raises the epoch of the one that is there.
--
-- ARGV[1]  client        ARGV[2]  attachment     ARGV[3]  epoch
-- ARGV[4]  channel       ARGV[5]  room for a further client: 1 | 0
-- ARGV[6]  the newest version that the caller has seen, or 0
-- ARGV[7]  the version since which the client has been in, says its server, or 0
-- ARGV[8]  1: it was in at the claim of that epoch
-- KEYS[5]  {r:ROOM}:left:CLIENT, "version at_us" of a leave that is remembered
-- returns  {"ok", size, version, 1 if the attachment is new, 1 if the client is} | {"capacity", size} | {"left", size, version of the leave}
local client, at, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
known = tonumber(ARGV[6])
local list = read(client)
for _, device in ipairs(list) do
  if device.at == at then
    if epoch > device.epoch then
      device.epoch = epoch
      write(client, list)
    end
    catch_up()
    return {'ok', size(), version(), 0, 0}
  end
end
local stay = tonumber(ARGV[7])
if #list == 0 and (stay ~= 0 or ARGV[8] == '1') then
  local left, left_at = string.match(redis.call('GET', KEYS[5]) or '', '^(%d+) (%d+)$')
  if left and (stay ~= 0 and tonumber(left) >= stay or stay == 0 and tonumber(left_at) > epoch) then
    return {'left', size(), left}
  end
end
if #list == 0 and ARGV[5] == '0' then return {'capacity', size()} end
list[#list + 1] = {at = at, epoch = epoch}
write(client, list)
count(at, 1)
catch_up()
if #list > 1 then return {'ok', size(), version(), 1, 0} end
redis.call('ZADD', names, 0, client)
local told = tell(ARGV[4], 'join', client)
return {'ok', told[1], told[2], 1, 1}
