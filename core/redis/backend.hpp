// redis::Backend: directory, bus, rosters, rates and tables on one Redis or Valkey, for any number of servers.
//
// Two connections: commands (pipelined, one write a turn) and subscriber. Both reconnect for ever with jittered
// backoff, have a deadline on every call and an idle watchdog; after a reconnect the subscriber subscribes again, then
// on_resubscribed() tells the core to resync. A lost connection fails its pending calls as `unavailable`.
//
// Thread-safety: none; one io_context with one thread.
#pragma once

#include <memory>
#include <string_view>

#include "core/redis/options.hpp"
#include "core/store/backend.hpp"
#include "core/wire/envelope.hpp"

namespace boost::asio {
class io_context;
}

namespace wsr::redis {

/// The same keys, good for one fabric only: what servers of another prefix or database number of the same Redis have
/// signed with them is refused, so nothing that is recorded there can be played back here. The backend does this by
/// itself (Backend::bound); bound twice, keys are those of no fabric.
[[nodiscard]] BatchKeys bind_keys(BatchKeys keys, std::string_view prefix, unsigned db);

[[nodiscard]] std::unique_ptr<wsr::Backend> make_backend(boost::asio::io_context& io, Options options,
                                                         AnswerSink& answers, BusListener& listener);

}  // namespace wsr::redis
