// The page at GET /: what a browser sees that opens the server's address. `wsr serve` sets its chat page here.
//
// Thread-safety: set it before the first Server starts, then only read.
#pragma once

#include <string>

namespace wsr::net {

/// Empty (the default): GET / answers 404.
void set_home_page(std::string html);

}  // namespace wsr::net
