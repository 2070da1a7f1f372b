-- client_join: notes at the client that one of its attachments is in a room, for the claims to come.
--
-- KEYS[1]  {c:CLIENT}:rooms, HASH "attachment room" -> epoch
-- ARGV[1]  "attachment room"     ARGV[2]  epoch; an older one never overwrites a newer one
local epoch = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if epoch < tonumber(ARGV[2]) or epoch == 0 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
