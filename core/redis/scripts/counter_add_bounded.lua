-- counter_add_bounded: adds if the sum stays at or below a bound.
--
-- KEYS[1]  counter              ARGV[1]  by             ARGV[2]  bound
-- returns  {"ok", value} | {"capacity", value} | {"overflow"}
--
-- Lua's doubles do not hold 64 bits: Redis adds, and the decimal texts are compared.
local function is_above(a, b)
  local a_negative, b_negative = string.sub(a, 1, 1) == '-', string.sub(b, 1, 1) == '-'
  if a_negative ~= b_negative then return b_negative end
  if a_negative then a, b = string.sub(b, 2), string.sub(a, 2) end
  if #a ~= #b then return #a > #b end
  return a > b
end

local before = redis.call('GET', KEYS[1])
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' and sum.err then
  if not string.find(sum.err, 'overflow', 1, true) then return sum end
  -- Beyond 64 bits upwards is beyond every bound too.
  if string.sub(ARGV[1], 1, 1) == '-' then return {'overflow'} end
  return {'capacity', before or '0'}
end
local value = redis.call('GET', KEYS[1])
if not is_above(value, ARGV[2]) then return {'ok', value} end
if before then redis.call('SET', KEYS[1], before) else redis.call('DEL', KEYS[1]) end
return {'capacity', before or '0'}
