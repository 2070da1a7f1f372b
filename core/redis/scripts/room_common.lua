-- room_common: what every script on one room begins with.
--
-- KEYS[1]  {r:ROOM}:members, HASH client -> "attachment epoch" lines     KEYS[2]  {r:ROOM}:names, ZSET clients by name
-- KEYS[3]  {r:ROOM}:ver, STRING                                          KEYS[4]  {r:ROOM}:servers, HASH server -> attachments
--
-- All four disappear with the last client. Epochs and versions are microseconds, below 2^53: Lua's doubles are exact.
local members, names, ver, servers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function text(number) return string.format('%.0f', number) end

-- Attachments of one client: {{at = , epoch = }, ...}.
local function read(client)
  local list = {}
  for at, epoch in string.gmatch(redis.call('HGET', members, client) or '', '([^ \n]+) (%d+)') do
    list[#list + 1] = {at = at, epoch = tonumber(epoch)}
  end
  return list
end

local function write(client, list)
  local lines = {}
  for i, device in ipairs(list) do lines[i] = device.at .. ' ' .. text(device.epoch) end
  redis.call('HSET', members, client, table.concat(lines, '\n'))
end

local function count(at, by)
  local server = string.match(at, '^[^/]*')
  if redis.call('HINCRBY', servers, server, by) <= 0 then redis.call('HDEL', servers, server) end
end

-- One attachment takes the place of others. A server that has none left keeps a zero, which costs no command here;
-- room_info passes over it, and tell() clears it away later.
local function move(gone, at)
  local by_server = {}
  local function add(each, by)
    local server = string.match(each, '^[^/]*')
    by_server[server] = (by_server[server] or 0) + by
  end
  for _, each in ipairs(gone) do add(each, -1) end
  if at then add(at, 1) end
  for server, by in pairs(by_server) do
    if by ~= 0 then redis.call('HINCRBY', servers, server, by) end
  end
end
local function clear_zeros()
  local flat = redis.call('HGETALL', servers)
  for i = 1, #flat, 2 do
    if tonumber(flat[i + 1]) <= 0 then redis.call('HDEL', servers, flat[i]) end
  end
end

local function size() return redis.call('HLEN', members) end
local function version() return redis.call('GET', ver) or '0' end

-- The newest version that a caller has seen. What is above it was never told: microseconds outrun events.
local known = 0
local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
-- No event bears a version far above the clock: one that does was forged, and who heard it has not heard more than we.
local ahead_max_us = 60000000
local function above_known()
  local now = now_us()
  if known > now + ahead_max_us then return text(now) end
  return text(math.max(now, known + 1))
end
-- A failover has lost events that somebody has heard. Returns the version.
local function catch_up()
  local at = redis.call('GET', ver)
  if not at or tonumber(at) >= known or known > now_us() + ahead_max_us then return at or '0' end
  local now = above_known()
  redis.call('SET', ver, now)
  return now
end

-- A stay has begun or ended: the next version, told on the room's channel as encode_presence() does.
local function tell(channel, kind, client)
  local left = size()
  local now
  if redis.call('EXISTS', ver) == 1 then
    now = text(redis.call('INCR', ver))
  else
    now = above_known()
    redis.call('SET', ver, now)
  end
  redis.call('PUBLISH', channel, 'P1 ' .. kind .. ' ' .. now .. ' ' .. left .. ' ' .. client)
  if left == 0 then redis.call('DEL', members, names, ver, servers) elseif tonumber(now) % 64 == 0 then clear_zeros() end
  return {left, now}
end

-- Without the attachments for which `is_going(device)`; {removed, size, version, attachment removed...}.
local function remove(client, channel, kind, is_going)
  local gone, stay = {}, {}
  for _, device in ipairs(read(client)) do
    if is_going(device) then gone[#gone + 1] = device.at else stay[#stay + 1] = device end
  end
  if #gone == 0 then return {0, size(), version()} end
  redis.call('PERSIST', members)  -- behind it a full store takes the rest as well: a leave gives memory back
  for _, at in ipairs(gone) do count(at, -1) end
  if #stay > 0 then
    write(client, stay)
    return {#gone, size(), version(), unpack(gone)}
  end
  redis.call('HDEL', members, client)
  redis.call('ZREM', names, client)
  local told = tell(channel, kind, client)
  return {#gone, told[1], told[2], unpack(gone)}
end
