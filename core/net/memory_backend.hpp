// memory_backend: the embedded store on an io_context: gives it the time and hands out its answers.
//
// Thread-safety: the factory may be called several times on one io_context with one thread: every further caller
//                joins the same store, as a server of a cluster in one process.
#pragma once

#include "core/memory/backend.hpp"
#include "core/net/server.hpp"

namespace wsr::net {

/// `options.now` and `options.wake` are set here; now is this machine's clock unless given.
[[nodiscard]] BackendFactory memory_backend(memory::Options options);

}  // namespace wsr::net
