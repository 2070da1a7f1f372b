-- sweep_page: the next index entries of a dead server, while the sweep still has its lock; renews the lock.
--
-- KEYS[1]  {s:SERVER}:lease   KEYS[2]  {s:SERVER}:sweep   KEYS[3]  {s:SERVER}:idx
-- ARGV[1]  who sweeps         ARGV[2]  lock in ms         ARGV[3]  SSCAN cursor      ARGV[4]  entries about
-- returns  {cursor, {entry...}} | nil: the lock is lost or the server is back
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return redis.call('SSCAN', KEYS[3], ARGV[3], 'COUNT', ARGV[4])
