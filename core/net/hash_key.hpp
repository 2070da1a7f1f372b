// The key of this process' hash tables, drawn by chance: see core/base/keyed_hash.hpp.
//
// Thread-safety: any thread.
#pragma once

namespace wsr::net {

/// Draws the key at the first call; later ones change nothing. Call it before the first table is made.
void draw_hash_key();

}  // namespace wsr::net
