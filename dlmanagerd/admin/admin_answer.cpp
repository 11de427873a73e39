#include "dlmanagerd/admin/admin_answer.hpp"

#include "dlmanagerd/admin/admin_report.hpp"
#include "shared/release.hpp"
#include "shared/sealed_memory.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <variant>

namespace dlhandoff::service {
namespace {

std::string name_of(std::uint32_t manager) {
    return "m" + std::to_string(manager + 1);
}

/// What a manager has written of itself; it has been sealed.
std::optional<admin::manager_report> read_report(int memory) {
    std::string text(admin::longest_line, '\0');
    const ssize_t size = ::pread(memory, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    auto line = admin::decode_answer_line(text);
    if (!line || !std::holds_alternative<admin::manager_report>(*line))
        return std::nullopt;
    return std::get<admin::manager_report>(std::move(*line));
}

bool has_text(int memory) noexcept {
    struct stat status {};
    return ::fstat(memory, &status) == 0 && status.st_size != 0;
}

admin_answer answer_status(const board& the_board, const std::vector<admin_part>& parts) {
    admin_answer answer;
    admin::totals all{release(), wire_version, 0, {}};
    for (std::uint32_t index = 0; index < the_board.managers(); ++index) {
        const manager_status& status = the_board.manager(index);
        const manager_state state = status.state.load(std::memory_order_relaxed);
        if (state == manager_state::vacant)
            continue;
        admin::manager_report line = report_of(status, name_of(index));
        if (state != manager_state::starting)
            line.state = "silent";
        const auto part = std::ranges::find(parts, index, &admin_part::manager);
        if (part != parts.end() && part->complete())
            if (auto own = read_report(part->text.get()))
                line = std::move(*own);
        ++all.managers;
        all.counts += line.counts;
        answer.text += encode(line);
    }
    answer.text += encode(all) + encode(admin::end{});
    return answer;
}

admin_answer answer_cancel(const admin::request& asked, std::vector<admin_part> parts) {
    std::string silent;
    for (admin_part& one : parts) {
        if (!one.complete())
            silent += (silent.empty() ? "" : ", ") + name_of(one.manager);
        else if (has_text(one.text.get())) {
            admin_answer answer;
            answer.parts.push_back(std::move(one.text));
            answer.text = encode(admin::end{});
            return answer;
        }
    }
    if (silent.empty())
        return answer_with(
            admin::failure{"no transfer with this id is under way: " + asked.id + " (list shows them)"});
    return answer_with(admin::failure{silent + " did not answer, and may still cancel " + asked.id +
                                      " when it does; no other manager has a transfer with this id"});
}

} // namespace

bool admin_part::complete() const noexcept {
    const int seals = ::fcntl(text.get(), F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

admin_answer answer_admin(const admin::request& asked, const board& the_board,
                          std::vector<admin_part> parts) {
    if (asked.what == admin::command::status)
        return answer_status(the_board, parts);
    if (asked.what == admin::command::cancel)
        return answer_cancel(asked, std::move(parts));
    admin_answer answer;
    for (admin_part& one : parts)
        if (one.complete())
            answer.parts.push_back(std::move(one.text));
    answer.text = encode(admin::end{});
    return answer;
}

admin_answer answer_with(const admin::answer_line& line) {
    admin_answer answer;
    answer.text = encode(line);
    if (!std::holds_alternative<admin::failure>(line))
        answer.text += encode(admin::end{});
    return answer;
}

file_descriptor memory_for(const admin::request& asked) {
    const std::string line = encode(asked);
    file_descriptor memory = make_memory_file("dlhandoff-report");
    if (memory && ::pwrite(memory.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
        memory.reset();
    return memory;
}

} // namespace dlhandoff::service
