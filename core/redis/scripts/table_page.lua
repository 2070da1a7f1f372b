-- table_page: ARGV[own+1] "-", or "(" and the last key seen; ARGV[own+2] rows at most.
-- Returns {last key read | nil at the end, key, value of each column..., key, ...}.
local keys = redis.call('ZRANGEBYLEX', idx, ARGV[own + 1], '+', 'LIMIT', 0, ARGV[own + 2])
local page = {false}
if #keys == tonumber(ARGV[own + 2]) then page[1] = keys[#keys] end
for _, key in ipairs(keys) do
  if has(key) then
    page[#page + 1] = key
    for _, value in ipairs(read(key)) do page[#page + 1] = value end
  end
end
return page
