-- room_page: clients by name. ARGV[1] "-", or "(" and the last name seen; ARGV[2] clients at most.
-- returns  {size, version, client...}
return {size(), version(), unpack(redis.call('ZRANGEBYLEX', names, ARGV[1], '+', 'LIMIT', 0, ARGV[2]))}
