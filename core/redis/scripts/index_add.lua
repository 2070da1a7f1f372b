-- index_add: an index entry that a full store must take, because its row stands already.
--
-- KEYS[1]  {s:SERVER}:idx       ARGV[1...]  entries
-- Behind PERSIST, which changes nothing here, a full store takes SADD as well.
redis.call('PERSIST', KEYS[1])
return redis.call('SADD', KEYS[1], unpack(ARGV))
