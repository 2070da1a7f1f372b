#include "cli/log.hpp"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "cli/log_line.hpp"
#include "cli/log_repeats.hpp"
#include "cli/patient_write.hpp"

namespace wsr::cli {
namespace {

constexpr const char* text_pattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr const char* json_pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

/// stderr, but not by stdio: a write that a stuck reader holds up could never be given up.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
  /// From now on lines are given up that are not taken by `deadline`.
  void end_by(WriteClock::time_point deadline) { deadline_ = deadline; }

private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    (void)write_until(STDERR_FILENO, {line.data(), line.size()}, deadline_);
  }
  void flush_() override {}

  std::atomic<WriteClock::time_point> deadline_{WriteClock::time_point::max()};
};

}  // namespace

struct Log::State {
  explicit State(Options asked)
      : options(std::move(asked)),
        pool(std::make_shared<spdlog::details::thread_pool>(queue_lines_max, 1)),
        sink(std::make_shared<StderrSink>()),
        logger(
            std::make_shared<spdlog::async_logger>("wsr", sink, pool, spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(level_of(options.level));
    const auto* pattern = options.format == LogFormat::json ? json_pattern : text_pattern;
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n"));
  }

  void put(const LogEvent& event) {
    const bool is_json = options.format == LogFormat::json;
    LogEvent clean = event;
    clean.text = without_secrets(std::move(clean.text), options.secrets);
    for (LogField& field : clean.fields) field.value = without_secrets(std::move(field.value), options.secrets);
    // As one argument: what stands in a line is no format.
    logger->log(level_of(event.level), spdlog::string_view_t(is_json ? json_members(options.server, clean)
                                                                     : text_line(options.server, clean)));
  }

  Options options;
  std::mutex mutex;
  LogRepeats repeats;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<StderrSink> sink;
  std::shared_ptr<spdlog::async_logger> logger;
};

Log::Log(Options options) : state_(std::make_unique<State>(std::move(options))) {}

Log::~Log() {
  state_->sink->end_by(WriteClock::now() + last_words_within);  // the pool's thread is joined
  const std::lock_guard lock(state_->mutex);
  for (const LogEvent& event : state_->repeats.take_all(LogRepeats::Clock::now())) state_->put(event);
}

void Log::write(const LogEvent& event) {
  if (event.level < state_->options.level) return;
  const std::lock_guard lock(state_->mutex);
  if (state_->repeats.is_due(event, LogRepeats::Clock::now())) state_->put(event);
}

void Log::tick() {
  const std::lock_guard lock(state_->mutex);
  for (const LogEvent& event : state_->repeats.take_over(LogRepeats::Clock::now())) state_->put(event);
}

}  // namespace wsr::cli
