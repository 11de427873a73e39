// make_seed_corpus FOLDER: writes what fuzzing starts from, a folder for each target, one input a file.

#include "shared/offer.hpp"
#include "shared/wire.hpp"
#include "tests/fuzz/tls_read_input.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace dlhandoff;
using source = plan_piece::source;

class corpus {
  public:
    explicit corpus(std::filesystem::path folder) : folder_(std::move(folder)) {
        std::filesystem::create_directories(folder_);
    }

    void write(const char* name, std::span<const std::byte> message) const {
        std::ofstream file(folder_ / name, std::ios::binary);
        file.write(reinterpret_cast<const char*>(message.data()),
                   static_cast<std::streamsize>(message.size()));
        if (!file.flush())
            throw std::runtime_error("cannot write " + (folder_ / name).string());
    }

    void write(const char* name, const request_facts& facts, std::span<const file_identity> files,
               std::span<const plan_piece> pieces, std::string_view memory, const return_terms& back = {},
               const pace& speed = {}, const reading_terms& reading = {}) const {
        auto made = offer::make(facts, files, pieces, std::as_bytes(std::span(memory)), nullptr, back, speed,
                                reading);
        if (const auto* reason = std::get_if<refusal>(&made))
            throw std::runtime_error(std::string(name) +
                                     " is no offer: " + std::string(dlhandoff::name(*reason)));
        auto& one = std::get<offer>(made);
        one.set_ticket({.slot = 2, .sequence = 9});
        write(name, one.message());
    }

  private:
    std::filesystem::path folder_;
};

void write_offers(const corpus& into) {
    constexpr std::string_view head =
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n";
    const std::vector<file_identity> one_file{{2049, 12, 100'000, 1'700'000'000'000'000'000}};
    request_facts facts;
    facts.client = facts.client_key = "192.0.2.1";
    facts.vhost = "downloads.example";
    facts.method = "GET";
    facts.uri = "/disk.iso";
    const std::vector<plan_piece> whole{{source::memory, 0, 0, head.size()}, {source::file, 0, 0, 100'000}};
    into.write("whole-file", facts, one_file, whole, head);
    into.write("keep-alive", facts, one_file, whole, head, {"/run/apache2/dlhandoff.return.77", 5000, 3});
    into.write("paced", facts, one_file, whole, head, {}, {500'000, 1'000'000});
    into.write("read-and-checked", facts, one_file, whole, head, {}, {}, {file_check::mtime, false});
    into.write("no-texts", {}, one_file, whole, head);
    into.write("memory-alone", facts, {}, std::vector<plan_piece>{{source::memory, 0, 0, 4}}, "body");

    facts.user = "anna";
    facts.range = "bytes=0-9,20-29,-10";
    facts.tag = "nightly";
    facts.transfer_class = "bulk";
    facts.status = 206;
    std::vector<plan_piece> ranges;
    for (const std::uint64_t offset : {0U, 20U, 99'990U}) {
        ranges.push_back({source::memory, 0, 0, head.size()});
        ranges.push_back({source::file, 0, offset, 10});
    }
    into.write("multi-range", facts, one_file, ranges, head);

    std::vector<file_identity> files;
    std::vector<plan_piece> pieces;
    for (std::uint32_t index = 0; index < 8; ++index) {
        files.push_back({2049, 100U + index, std::uint64_t{6'000'000'000} + index, -1});
        pieces.push_back({source::file, index, 5'000'000'000, 1'000'000'000});
    }
    into.write("many-files", facts, files, pieces, {});

    hello greeting{4711, 3, {}, 815, 0, 0};
    std::string_view("m1").copy(greeting.manager.data(), greeting.manager.size());
    into.write("hello", encode(greeting));
    into.write("return", encode(return_message{3}));
    into.write("answer-claimed", encode(answer{9, true, {}}));
    into.write("answer-refused", encode(answer{9, false, refusal::full}));
}

/// Of each kind of descriptors one.
void write_returns(const corpus& into) {
    const auto message = encode(return_message{3});
    for (const auto& [name, descriptors] :
         {std::pair{"tcp", 17}, {"no-descriptor", 0}, {"file", 1}, {"many", 31}, {"none-left", 32 + 17}}) {
        std::vector<std::byte> input{static_cast<std::byte>(descriptors)};
        input.insert(input.end(), message.begin(), message.end());
        into.write(name, input);
    }
}

/// What a client sends to sealed_channel.
void write_tls_inputs(const corpus& into) {
    using fuzz::tls_read_step;
    using texts = std::vector<tls_read_step>;
    static constexpr std::uint8_t update[]{24, 0, 0, 1, 0}, update_asked_for[]{24, 0, 0, 1, 1};
    static constexpr std::uint8_t close_notify[]{1, 0}, canceled[]{1, 90}, fatal[]{2, 40},
        hello_request[]{0, 0, 0, 0};
    static constexpr std::uint8_t request[]{'G', 'E', 'T', ' ', '/'}, header[]{23, 3, 3, 0, 20, 1, 2};
    constexpr auto sealed = tls_read_step::sealed, answered = tls_read_step::sealed_then_answered;
    const tls_read_step closing{sealed, 21, 0, 0, 0, close_notify};
    const std::vector<std::pair<const char*, texts>> all{
        {"close", {closing}},
        {"request", {{sealed, 23, 0, 0, 0, request}, {sealed, 23, 17, 16'000, 9, request}, closing}},
        {"key-updates",
         {{answered, 22, 0, 0, 0, update_asked_for},
          {sealed, 22, 3, 0, 4, update},
          {answered, 23, 0, 0, 0, {}},
          closing}},
        {"alerts", {{sealed, 21, 0, 0, 0, canceled}, {sealed, 21, 0, 0, 0, fatal}}},
        {"renegotiation", {{answered, 22, 0, 0, 0, hello_request}, closing}},
        {"raw", {{sealed, 23, 0, 0, 0, request}, {tls_read_step::raw, 0, 0, 0, 3, header}}},
        {"too-long", {{sealed, 23, 0, 16'500, 0, request}}},
        {"no-type", {{sealed, 0, 0, 20, 0, {}}}},
    };
    for (const auto& [name, steps] : all)
        for (std::uint8_t suite = 0; suite < 5; ++suite) {
            std::vector<std::byte> input{static_cast<std::byte>(suite)};
            for (const tls_read_step& step : steps) {
                for (const int number :
                     {int{step.how}, int{step.type}, int{step.padding}, step.zeros & 255, step.zeros >> 8,
                      step.cut & 255, step.cut >> 8, static_cast<int>(step.content.size())})
                    input.push_back(static_cast<std::byte>(number));
                const auto content = std::as_bytes(step.content);
                input.insert(input.end(), content.begin(), content.end());
            }
            into.write((std::string(name) + '-' + std::to_string(suite)).c_str(), input);
        }
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fputs("usage: make_seed_corpus FOLDER\n", stderr);
        return 2;
    }
    const std::filesystem::path folder(argv[1]);
    write_offers(corpus(folder / "offer"));
    write_returns(corpus(folder / "return"));
    write_tls_inputs(corpus(folder / "tls_read"));
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "make_seed_corpus: %s\n", error.what());
    return EXIT_FAILURE;
}
