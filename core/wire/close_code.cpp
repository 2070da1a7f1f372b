#include "core/wire/close_code.hpp"

namespace wsr {

bool is_valid_on_wire(std::uint16_t code) {
  if (code >= 3000) return code <= 4999;  // 3000-3999 registered by libraries, 4000-4999 private
  if (code < 1000 || code > 1014) return false;
  return code < 1004 || code > 1006;  // 1004 is reserved; 1005 and 1006 only ever name the absence of a code
}

}  // namespace wsr
