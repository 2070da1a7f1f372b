-- room_find: returns {1 if the client ARGV[1] is in the room, version, attachment...}.
local list = read(ARGV[1])
local found = {#list > 0 and 1 or 0, version()}
for i, device in ipairs(list) do found[i + 2] = device.at end
return found
