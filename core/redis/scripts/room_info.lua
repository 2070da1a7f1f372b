-- room_info: returns {size, version, server, attachments, server, ...}.
local info, flat = {size(), version()}, redis.call('HGETALL', servers)
for i = 1, #flat, 2 do
  if tonumber(flat[i + 1]) > 0 then
    info[#info + 1] = flat[i]
    info[#info + 1] = flat[i + 1]
  end
end
return info
