-- room_leave: removes every attachment of a client up to an epoch.
--
-- ARGV[1]  client        ARGV[2]  the last epoch that goes     ARGV[3]  channel
-- ARGV[4]  the newest version that the caller has seen, or 0
-- ARGV[5]  milliseconds for which the leave is remembered, or 0     KEYS[5]  {r:ROOM}:left:CLIENT
-- ARGV[6]  1: remembered also if nobody was there
-- returns  {attachments removed, size, version, attachment removed...}
local through = tonumber(ARGV[2])
known = tonumber(ARGV[4])
catch_up()
local gone = remove(ARGV[1], ARGV[3], 'leave', function(device) return device.epoch <= through end)
if ARGV[5] ~= '0' and (gone[1] > 0 or ARGV[6] == '1') then
  local left = tonumber(gone[3])
  -- Of a room that is gone: below the version with which it would begin again.
  if left == 0 then left = tonumber(above_known()) - 1 end
  redis.call('SET', KEYS[5], text(left) .. ' ' .. text(now_us()), 'PX', ARGV[5])
end
return gone
