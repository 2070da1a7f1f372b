-- client_leave: the other side of room_leave: what is noted of attachments in a room, up to an epoch, goes.
--
-- KEYS[1]  {c:CLIENT}:rooms      ARGV[1]  room      ARGV[2]  the last epoch that goes
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if string.match(flat[i], '^[^ ]+ (.*)$') == ARGV[1] and tonumber(flat[i + 1]) <= tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[1], flat[i])
  end
end
return 1
