-- sweep_row: removes an owner row if it is still the one that the sweep has read. A server that came back and
-- asserted the row again has raised its epoch, so its value differs and the row stays.
--
-- KEYS[1]  {c:CLIENT}:own
-- ARGV[1]  attachment           ARGV[2]  the value read
-- returns  rows removed: 1 | 0
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
