-- client_join: notes at the client that one of its attachments is in rooms, for the claims to come.
--
-- KEYS[1]  {c:CLIENT}:rooms, HASH "attachment room" -> epoch
-- ARGV[1]  epoch; an older one never overwrites a newer one     ARGV[2...]  "attachment room", at most 1 000
local fields, newer = {}, {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] end
local known = redis.call('HMGET', KEYS[1], unpack(fields))
for i, field in ipairs(fields) do
  if not known[i] or tonumber(known[i]) < tonumber(ARGV[1]) then
    newer[#newer + 1] = field
    newer[#newer + 1] = ARGV[1]
  end
end
if #newer > 0 then redis.call('HSET', KEYS[1], unpack(newer)) end
return 1
