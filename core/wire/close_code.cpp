#include "core/wire/close_code.hpp"

namespace wsr {

bool is_valid_on_wire(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;  // registered and private codes
  // 1004 is reserved; 1005, 1006 and 1015 describe closes without a code and never travel.
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

}  // namespace wsr
