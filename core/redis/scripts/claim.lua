-- claim: makes one attachment the owner of a client, or refuses it because a newer connection exists.
--
-- KEYS[1]  {c:CLIENT}:own, HASH attachment -> "epoch claimed_at_us"
-- KEYS[2]  {c:CLIENT}:rooms, HASH "attachment room" -> epoch
-- ARGV[1]  attachment          ARGV[2]  accepted_at in us       ARGV[3]  least epoch to grant
-- ARGV[4]  single | multi      ARGV[5]  devices at most         ARGV[6]  room for a further row: 1 | 0
-- ARGV[7]  how wrong accepted_at may be beside another server's, in us
-- ARGV[8]  ttl of the client's rows in ms, 0: none
-- returns  {"ok", epoch, 1 if the row is new, {displaced attachment...}, {room...}} | {"superseded"} | {"capacity"}
--          rooms: the client's, without those that list this attachment
--
-- Times and epochs are microseconds, below 2^53, so Lua's doubles hold them exactly.
local own, at = KEYS[1], ARGV[1]
local accepted, epoch_min = tonumber(ARGV[2]), tonumber(ARGV[3])
local others, mine, newest = {}, nil, 0

local flat = redis.call('HGETALL', own)
for i = 1, #flat, 2 do
  local epoch, claimed = string.match(flat[i + 1], '^(%d+) (%d+)$')
  local row = {at = flat[i], epoch = tonumber(epoch) or 0, claimed = tonumber(claimed) or 0}
  if row.epoch > newest then newest = row.epoch end
  if row.at == at then mine = row else others[#others + 1] = row end
end

-- A full store refuses HSET unless the script has written before; PERSIST it takes. A row that stands already costs no
-- memory when it is asserted again.
if mine then redis.call('PERSIST', own) end

local displaced = {}
local previous = newest
if ARGV[4] == 'single' then
  for _, row in ipairs(others) do
    -- As ClaimCall::is_older_than: a re-assertion goes by the epoch, a first claim by the time of accepting.
    local is_older
    if epoch_min > 0 then
      is_older = row.epoch > epoch_min
    else
      local is_sibling = string.match(row.at, '^[^/]*') == string.match(at, '^[^/]*')
      is_older = row.claimed > (is_sibling and accepted or accepted + tonumber(ARGV[7]))
    end
    if is_older then return {'superseded'} end
    displaced[#displaced + 1] = row.at
  end
elseif mine then
  -- A device asserted again counts on from its own epoch: it does not become the newest one by that.
  previous = mine.epoch
end
local epoch = math.max(previous + 1, accepted, epoch_min)

if ARGV[4] ~= 'single' then
  others[#others + 1] = {at = at, epoch = epoch, claimed = accepted}
  table.sort(others, function(a, b)
    if a.claimed ~= b.claimed then return a.claimed < b.claimed end
    if a.epoch ~= b.epoch then return a.epoch < b.epoch end
    return a.at < b.at
  end)
  for i = 1, #others - tonumber(ARGV[5]) do
    if others[i].at == at then
      redis.call('HDEL', own, at)
      return {'superseded'}
    end
    displaced[#displaced + 1] = others[i].at
  end
end

if not mine and #displaced == 0 and ARGV[6] == '0' then return {'capacity'} end
for _, gone in ipairs(displaced) do redis.call('HDEL', own, gone) end
local text = string.format('%.0f', epoch)
redis.call('HSET', own, at, text .. ' ' .. ARGV[2])
if ARGV[8] ~= '0' then redis.call('PEXPIRE', own, ARGV[8]) else redis.call('PERSIST', own) end

local rooms, is_listed = {}, {}
local notes = redis.call('HKEYS', KEYS[2])
for _, note in ipairs(notes) do
  local by, room = string.match(note, '^([^ ]+) (.*)$')
  if by == at then is_listed[room] = true end
end
for _, note in ipairs(notes) do
  local room = string.match(note, '^[^ ]+ (.*)$')
  if room and not is_listed[room] then
    is_listed[room] = true
    rooms[#rooms + 1] = room
  end
end
return {'ok', text, mine and 0 or 1, displaced, rooms}
