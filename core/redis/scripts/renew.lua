-- renew: a server proves that it lives.
--
-- KEYS[1]  {s:SERVER}:lease, STRING with PX     KEYS[2]  {s:SERVER}:sweep, the lock of whoever sweeps this server
-- ARGV[1]  lease in ms                          ARGV[2]  what the server says of itself: a JSON object, not empty
-- returns  {"ok", 1 if the lease was held before, now in us} | {"conflict"}: it is being swept
if redis.call('EXISTS', KEYS[2]) == 1 then return {'conflict'} end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local before = redis.call('EXISTS', KEYS[1])
-- A full store (OOM) refuses SET, unless the script has written before; PEXPIRE it takes. A lease costs a few hundred
-- bytes a server, and without it a full store would lose whoever is connected.
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('SET', KEYS[1], '{"renewed_us":' .. now .. ',' .. string.sub(ARGV[2], 2), 'PX', ARGV[1])
return {'ok', before, now}
