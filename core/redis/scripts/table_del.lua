-- table_del: ARGV[own+1] key. Returns 1 | 0: there is no such row.
if not has(ARGV[own + 1]) then return 0 end
erase(ARGV[own + 1])
return 1
