-- room_drop: removes one attachment of a client. A sweep names the epoch that it has read, too: a server that came
-- back and joined again has a higher one, and its attachment stays.
--
-- ARGV[1]  client        ARGV[2]  attachment     ARGV[3]  epoch; empty: any
-- ARGV[4]  channel       ARGV[5]  leave | swept: how a stay that ends is told
-- returns  {attachments removed: 1 | 0, size, version, ...}
local epoch = tonumber(ARGV[3])
return remove(ARGV[1], ARGV[4], ARGV[5],
              function(device) return device.at == ARGV[2] and (not epoch or device.epoch == epoch) end)
