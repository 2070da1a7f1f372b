-- room_info: returns {size, version, server, attachments, server, ...}.
return {size(), version(), unpack(redis.call('HGETALL', servers))}
