-- rate_take: removes a token from a bucket that all servers share, in the integers of TokenBucket.
--
-- KEYS[1]  {c:NAME}:rate or {r:NAME}:rate, STRING "level at_us", gone when the bucket is full
-- ARGV[1]  tokens a window       ARGV[2]  the window in us: a token's parts      ARGV[3]  tokens of a full bucket
-- returns  0 | us until the next token is there
--
-- A microsecond brings ARGV[1] parts. All numbers stay below 2^53, so doubles hold them and floor(a / b) is exact.
local count, token = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(ARGV[3]) * token
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function micros_for(parts) return math.floor((parts + count - 1) / count) end

local level, at = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
level, at = tonumber(level) or full, tonumber(at) or now
local elapsed = math.max(now - at, 0)
if level >= full or elapsed >= micros_for(full - level) then
  level = full
else
  level = level + elapsed * count
end
-- A refusal writes nothing: from what stands there the same level follows later.
if level < token then return micros_for(token - level) end
level = level - token
-- Redis expires by a clock of milliseconds of its own: one more, so that a bucket is not full too early.
local full_in = math.floor(micros_for(full - level) / 1000) + 2
redis.call('SET', KEYS[1], string.format('%.0f %.0f', level, math.max(now, at)), 'PX', string.format('%.0f', full_in))
return 0
