-- sweep_begin: takes the right to sweep a server without lease. While the lock stands, the server cannot renew.
--
-- KEYS[1]  {s:SERVER}:lease     KEYS[2]  {s:SERVER}:sweep
-- ARGV[1]  who sweeps           ARGV[2]  how long the lock stands, in ms
-- returns  1 | 0: the lease is held, or somebody else sweeps
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('PERSIST', KEYS[2])  -- behind it a full store takes SET as well
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
