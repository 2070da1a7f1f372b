-- table_incr: ARGV[own+1] key, ARGV[own+2] column, ARGV[own+3] by, then the defaults of a new row.
-- Returns {"ok", value} | {"full"} | {"overflow"}. The value is text: Lua's doubles do not hold 64 bits.
local key, field = ARGV[own + 1], cell(ARGV[own + 2], ARGV[own + 1])
if not has(key) then
  if not has_room() then return {'full'} end
  write(key, own + 4)
end
local sum = redis.pcall('HINCRBY', rows, field, ARGV[own + 3])
if type(sum) == 'table' and sum.err then
  if string.find(sum.err, 'overflow', 1, true) then return {'overflow'} end
  return sum
end
touch(key)
return {'ok', redis.call('HGET', rows, field)}
