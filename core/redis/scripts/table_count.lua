-- table_count: the number of rows that have not expired.
local count = redis.call('ZCARD', idx)
if ttl > 0 then count = count - redis.call('ZCOUNT', exp, '-inf', string.format('%.0f', now)) end
return count
