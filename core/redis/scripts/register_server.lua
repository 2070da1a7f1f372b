-- register_server: puts a server into the registry with Redis' own time. Another slot than its lease, so a script of its own.
--
-- KEYS[1]  servers, ZSET server -> last renewal in ms
-- ARGV[1]  server                ARGV[2]  renewed | if_missing
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
-- As in renew: behind PERSIST, which changes nothing here, a full store takes ZADD as well.
redis.call('PERSIST', KEYS[1])
if ARGV[2] == 'if_missing' then return redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1]) end
return redis.call('ZADD', KEYS[1], now, ARGV[1])
