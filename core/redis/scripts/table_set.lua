-- table_set: ARGV[own+1] key, then the values in the order of the columns. Returns 1 | 0: the table is full.
local key = ARGV[own + 1]
if not has(key) and not has_room() then return 0 end
write(key, own + 2)
touch(key)
return 1
