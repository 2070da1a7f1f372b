-- sweep_end: gives the lock of a sweep back, if it is still one's own.
--
-- KEYS[1]  {s:SERVER}:sweep     ARGV[1]  who swept
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
