-- room_join: adds an attachment to a client's entry, or raises the epoch of the one that is there.
--
-- ARGV[1]  client        ARGV[2]  attachment     ARGV[3]  epoch
-- ARGV[4]  channel       ARGV[5]  room for a further client: 1 | 0
-- ARGV[6]  the newest version that the caller has seen, or 0
-- ARGV[7]  the version since which the client has been in, says its server, or 0
-- ARGV[8]  1: it was in at the claim of that epoch
-- ARGV[9]  1: attachments with older epochs go; one with a newer epoch refuses this one
-- KEYS[5]  {r:ROOM}:left:CLIENT, "version at_us" of a leave that is remembered
-- returns  {"ok", size, version, 1 if the attachment is new, 1 if the client is, attachment replaced...} | {"capacity", size}
--          | {"left", size, version of the leave} | {"superseded", size}
local client, at, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
known = tonumber(ARGV[6])
local before = read(client)
local list, mine, replaced = {}, nil, {}
for _, device in ipairs(before) do
  if device.at == at then
    mine = device
    list[#list + 1] = device
  elseif ARGV[9] ~= '1' or device.epoch == epoch then
    list[#list + 1] = device
  elseif device.epoch > epoch then
    return {'superseded', size()}
  else
    replaced[#replaced + 1] = device.at
  end
end
if #before > 0 then
  if not mine then list[#list + 1] = {at = at, epoch = epoch} end
  if not mine or #replaced > 0 or epoch > mine.epoch then
    if mine then mine.epoch = math.max(mine.epoch, epoch) end
    write(client, list)
    move(replaced, not mine and at)
  end
  -- What a store short of memory has evicted, or somebody has deleted, is put back when its server joins again.
  if mine and not redis.call('ZSCORE', names, client) then redis.call('ZADD', names, 0, client) end
  return {'ok', size(), catch_up(), mine and 0 or 1, 0, unpack(replaced)}
end
local stay = tonumber(ARGV[7])
if stay ~= 0 or ARGV[8] == '1' then
  local left, left_at = string.match(redis.call('GET', KEYS[5]) or '', '^(%d+) (%d+)$')
  if left and (stay ~= 0 and tonumber(left) >= stay or stay == 0 and tonumber(left_at) > epoch) then
    return {'left', size(), left}
  end
end
if ARGV[5] == '0' then return {'capacity', size()} end
write(client, {{at = at, epoch = epoch}})
count(at, 1)
catch_up()
redis.call('ZADD', names, 0, client)
local told = tell(ARGV[4], 'join', client)
return {'ok', told[1], told[2], 1, 1}
