-- table_compare_and_set: ARGV[own+1] key, ARGV[own+2] column, ARGV[own+3] the value expected there, then the values.
-- Returns "ok" | "missing" | "conflict".
local key = ARGV[own + 1]
if not has(key) then return 'missing' end
if redis.call('HGET', rows, cell(ARGV[own + 2], key)) ~= ARGV[own + 3] then return 'conflict' end
write(key, own + 4)
touch(key)
return 'ok'
