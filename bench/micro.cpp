// Micro-benchmarks of the codecs on the path of one direct message of 128 bytes: what a change of theirs costs or
// saves.
// ./dev bench micro [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/keyed_hash.hpp"
#include "core/wire/client_protocol.hpp"
#include "core/wire/envelope.hpp"
#include "core/wire/utf8.hpp"
#include "core/wire/ws_frame.hpp"

namespace {

const std::string data = '"' + std::string(128, 'x') + '"';
const std::string command = R"({"op":"send","to":"bob","data":)" + data + "}";

void parse_masked_frame(benchmark::State& state) {
  std::string sent;
  wsr::ws_append_masked_frame(sent, wsr::WsOpcode::text, command, 0x37FA213D);
  wsr::WsParser parser(wsr::WsRole::server, 64 * 1024);
  std::string buffer;
  for (auto _ : state) {
    buffer.assign(sent);  // parsing unmasks in place
    benchmark::DoNotOptimize(parser.next(buffer));
  }
}
BENCHMARK(parse_masked_frame);

void parse_send_command(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(wsr::parse_command(command));
}
BENCHMARK(parse_send_command);

void write_message_frame(benchmark::State& state) {
  std::string message, frame;
  for (auto _ : state) {
    message.clear();
    frame.clear();
    wsr::append_message(message, "alice", data);
    wsr::ws_append_frame(frame, wsr::WsOpcode::text, message);
    benchmark::DoNotOptimize(frame.data());
  }
}
BENCHMARK(write_message_frame);

void validate_utf8(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(wsr::is_utf8(text));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(validate_utf8)->Arg(128)->Arg(64 * 1024);

/// One batch of `range` messages, written and read; per batch, unsigned or signed.
void batch_there_and_back(benchmark::State& state, const wsr::BatchKeys& keys) {
  constexpr std::chrono::milliseconds time{1'000'000};
  wsr::EntryMessage message;
  message.receipt = 1;
  message.from = "alice";
  message.to = "bob";
  message.data = data;
  for (auto _ : state) {
    wsr::BatchWriter writer("web-1~k3f9", 0, 0, 1, 1);
    for (std::int64_t i = 0; i < state.range(0); ++i) writer.add(message);
    const auto bytes = writer.finish(keys, "wsr:in:{web-2~a1b2}", time);
    const auto decoded = wsr::decode_batch(bytes, keys, "wsr:in:{web-2~a1b2}", time);
    if (!std::holds_alternative<wsr::Batch>(decoded)) state.SkipWithError("the batch was refused");
    benchmark::DoNotOptimize(decoded);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(batch_there_and_back, plain, wsr::BatchKeys{})->Arg(1)->Arg(16)->Arg(64);
BENCHMARK_CAPTURE(batch_there_and_back, signed,
                  wsr::BatchKeys{{{"k1", "0123456789abcdef0123456789abcdef"}}, std::chrono::seconds{30}})
    ->Arg(1)
    ->Arg(16)
    ->Arg(64);

/// One name of `range` bytes: what a look at a table costs before it looks.
template <class Hash>
void hash_name(benchmark::State& state) {
  std::string name(static_cast<std::size_t>(state.range(0)), 'x');
  const Hash hash{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(name.data());
    benchmark::DoNotOptimize(hash(std::string_view(name)));
  }
}
BENCHMARK_TEMPLATE(hash_name, std::hash<std::string_view>)->Arg(8)->Arg(16)->Arg(40);
BENCHMARK_TEMPLATE(hash_name, wsr::KeyedHash)->Arg(8)->Arg(16)->Arg(40);

}  // namespace
