// LogEvent: something that whoever runs a server should know of, as data. A LogSink is where such events go.
//
// The name is stable: alerts and searches are made of it. The text is for people and may change. Both and the fields
// may hold what others have sent: whoever writes a line escapes them.
//
// Thread-safety: plain values; what a sink stands is its maker's word (the one of `wsr serve` takes any thread).
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wsr {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct LogField {
  std::string_view name;  // a literal
  std::string value;
};

struct LogEvent {
  LogLevel level = LogLevel::info;
  std::string_view name;  // a literal: letters, digits and _
  std::string text;       // a sentence
  std::vector<LogField> fields = {};
  /// What it is about, if repeats about something else are no repeats: one of few, and never a stranger's word.
  std::string subject = {};
};

/// Empty: nobody wants to know. A handler that takes a text alone gets the sentences.
class LogSink {
public:
  LogSink() = default;
  template <class Handler>
  requires(!std::same_as<std::remove_cvref_t<Handler>, LogSink> && std::invocable<Handler&, const LogEvent&>)
      LogSink(Handler handler)
      : handler_(std::move(handler)) {}
  template <class Handler>
  requires(!std::invocable<Handler&, const LogEvent&> && std::invocable<Handler&, std::string_view>)
      LogSink(Handler handler)
      : handler_([handler = std::move(handler)](const LogEvent& event) { handler(event.text); }) {}

  explicit operator bool() const { return static_cast<bool>(handler_); }
  void operator()(const LogEvent& event) const {
    if (handler_) handler_(event);
  }
  /// What a store refuses, in a sentence.
  void operator()(std::string_view sentence) const {
    (*this)(LogEvent{.level = LogLevel::error, .name = "store_refuses", .text = std::string(sentence)});
  }

private:
  std::function<void(const LogEvent&)> handler_;
};

}  // namespace wsr
