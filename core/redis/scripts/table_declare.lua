-- table_declare: the first declaration of a table stands; the same again is fine.
--
-- KEYS[1]  {t:TABLE}:spec       ARGV[1]  the declaration as text
-- returns  1 | 0: it is declared in another way
local declared = redis.call('GET', KEYS[1])
if declared then return declared == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
