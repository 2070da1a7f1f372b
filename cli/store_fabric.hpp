// The fabric by its shared store: a guest that joins for the length of one command. It takes no lease and owns no
// client.
#pragma once

#include <memory>

#include "cli/fabric_client.hpp"
#include "cli/find.hpp"

namespace wsr::cli {

/// Throws UsageError if the store's address or a bus key is wrong, and a sentence if the store does not answer.
[[nodiscard]] std::unique_ptr<FabricClient> make_store_fabric(const FabricOptions& options);

}  // namespace wsr::cli
