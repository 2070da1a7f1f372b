#include "core/wire/close_code.hpp"
