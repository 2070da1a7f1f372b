-- client_sweep: removes a note of an attachment in a room if it is still the one that the sweep has read.
--
-- KEYS[1]  {c:CLIENT}:rooms      ARGV[1]  "attachment room"     ARGV[2]  the epoch read
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
