-- room_leave: removes every attachment of a client up to an epoch.
--
-- ARGV[1]  client        ARGV[2]  the last epoch that goes     ARGV[3]  channel
-- returns  {attachments removed, size, version, attachment removed...}
local through = tonumber(ARGV[2])
return remove(ARGV[1], ARGV[3], 'leave', function(device) return device.epoch <= through end)
