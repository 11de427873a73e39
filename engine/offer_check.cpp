#include "engine/offer_check.hpp"

#include "engine/client/connection_return.hpp"
#include "engine/client/tcp_progress.hpp"
#include "engine/files/file_state.hpp"
#include "engine/tls/tls_suite.hpp"

#include <fcntl.h>

namespace dlhandoff::engine {
namespace {

std::optional<refusal> check_file(const file_identity& expected, file_check check, int file) noexcept {
    const auto actual = file_identity::of(file);
    if (!actual)
        return refusal::not_regular_file;
    const int flags = ::fcntl(file, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0)
        return refusal::not_readable;
    if (actual->device != expected.device || actual->inode != expected.inode ||
        state_of(file, expected, check) != file_state::as_offered)
        return refusal::file_changed;
    return std::nullopt;
}

} // namespace

std::optional<refusal> check_offer(const offer& offered,
                                   std::span<const file_descriptor> descriptors) noexcept {
    if (const auto* session = offered.tls();
        session != nullptr && find_tls_suite(session->version, session->suite) == nullptr)
        return refusal::tls;
    const auto files = offered.files();
    if (descriptors.size() < files.size() + 1)
        return refusal::missing_descriptor;
    if (descriptors.size() > files.size() + 1)
        return refusal::extra_descriptor;
    if (!is_tcp(descriptors[0].get()))
        return refusal::not_tcp;
    if (!is_connected(descriptors[0].get()))
        return refusal::not_connected;
    for (std::size_t i = 0; i < files.size(); ++i)
        if (const auto wrong = check_file(files[i], offered.reading().check, descriptors[i + 1].get()))
            return wrong;
    // Its head has promised keep-alive: better httpd keeps the promise than nobody.
    if (const auto back = offered.returning().path; !back.empty() && !can_return(back))
        return refusal::return_socket;
    return std::nullopt;
}

} // namespace dlhandoff::engine
