-- table_get: ARGV[own+1] key. Returns the values in the order of the columns | nil.
if not has(ARGV[own + 1]) then return false end
return read(ARGV[own + 1])
