-- table_common: what the table_*.lua scripts share; it stands before each of them.
--
-- KEYS[1]  {t:TABLE}:rows, HASH column:key -> value as text
-- KEYS[2]  {t:TABLE}:idx, ZSET of keys, all with score 0: pages go by ZRANGEBYLEX
-- KEYS[3]  {t:TABLE}:exp, ZSET key -> expiry in ms; tables with a ttl only
-- ARGV[1]  ttl in ms, 0: none   ARGV[2]  rows at most, 0: no bound   ARGV[3]  n, the number of columns
-- ARGV[4 .. 3+n]  the columns   then the operation's own: ARGV[own+1], ARGV[own+2], ...
local rows, idx, exp = KEYS[1], KEYS[2], KEYS[3]
local ttl, rows_max, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local own = 3 + n
local now = 0
if ttl > 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function cell(column, key) return column .. ':' .. key end

local function erase(key)
  local cells = {}
  for i = 1, n do cells[i] = cell(ARGV[3 + i], key) end
  redis.call('HDEL', rows, unpack(cells))
  redis.call('ZREM', idx, key)
  if ttl > 0 then redis.call('ZREM', exp, key) end
end

-- Removes some of what has expired: the work of one call stays bounded. Returns how many.
local function purge()
  if ttl == 0 then return 0 end
  local expired = redis.call('ZRANGEBYSCORE', exp, '-inf', string.format('%.0f', now), 'LIMIT', 0, 100)
  for _, key in ipairs(expired) do erase(key) end
  return #expired
end

local function has(key)
  if not redis.call('ZSCORE', idx, key) then return false end
  if ttl == 0 then return true end
  local expiry = redis.call('ZSCORE', exp, key)
  if expiry and tonumber(expiry) > now then return true end
  erase(key)
  return false
end

local function has_room()
  if rows_max == 0 then return true end
  while redis.call('ZCARD', idx) >= rows_max do
    if purge() == 0 then return false end
  end
  return true
end

local function read(key)
  local cells = {}
  for i = 1, n do cells[i] = cell(ARGV[3 + i], key) end
  return redis.call('HMGET', rows, unpack(cells))
end

-- The values of all columns, in their order, stand from ARGV[first] on. Begins the ttl anew.
local function write(key, first)
  local pairs_ = {}
  for i = 1, n do
    pairs_[2 * i - 1] = cell(ARGV[3 + i], key)
    pairs_[2 * i] = ARGV[first + i - 1]
  end
  redis.call('HSET', rows, unpack(pairs_))
end

local function touch(key)
  redis.call('ZADD', idx, 0, key)
  if ttl == 0 then return end
  redis.call('ZADD', exp, string.format('%.0f', now + ttl), key)
  -- A table that nobody sets any more goes as a whole.
  for _, name in ipairs(KEYS) do redis.call('PEXPIRE', name, ttl + 1000) end
end

purge()
