// Payload: what people type, as what is sent.
//
// Errors: UsageError with a sentence.
#pragma once

#include <string>
#include <string_view>

#include "core/base/ids.hpp"

namespace wsr::cli {

/// `word` itself; or, for "-", standard input without its last line break.
[[nodiscard]] std::string text_of_word(const std::string& word);

/// The message as one JSON value: `text` itself if it is meant as JSON, else as a JSON string.
enum class TextIs : unsigned char { text, json };
[[nodiscard]] std::string payload_of(std::string_view text, TextIs what);

/// `what` opens the sentence: an option's name, or the text itself.
[[nodiscard]] ClientId client_named(const std::string& text, std::string_view what);

}  // namespace wsr::cli
