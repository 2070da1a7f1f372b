-- client_replace: removes what is noted of attachments that another one has replaced in rooms.
--
-- KEYS[1]  {c:CLIENT}:rooms      ARGV[1]  the epoch of the other one: what is noted of a newer one stays
-- ARGV[2...]  "attachment room", at most 1 000
local fields, older = {}, {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] end
local known = redis.call('HMGET', KEYS[1], unpack(fields))
for i, field in ipairs(fields) do
  if known[i] and tonumber(known[i]) < tonumber(ARGV[1]) then older[#older + 1] = field end
end
if #older > 0 then redis.call('HDEL', KEYS[1], unpack(older)) end
return #older
