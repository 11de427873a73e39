# Compiler settings that every target of the project shares.
add_library(dlhandoff_settings INTERFACE)
target_include_directories(dlhandoff_settings INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(dlhandoff_settings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Wconversion
    -Wsign-conversion -Wnull-dereference -Woverloaded-virtual -Wformat=2)
if(DLHANDOFF_WERROR)
    target_compile_options(dlhandoff_settings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # -Wnull-dereference reports paths through libstdc++ that it invents itself under optimisation.
    target_compile_options(dlhandoff_settings INTERFACE -Wno-null-dereference)
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # At -O3 it takes every `"text" + std::string()` for a copy onto itself (GCC bug 105651, mended in GCC 13).
        target_compile_options(dlhandoff_settings INTERFACE -Wno-restrict)
    endif()
endif()
if(DLHANDOFF_SANITIZE)
    target_compile_options(dlhandoff_settings INTERFACE -fsanitize=${DLHANDOFF_SANITIZE} -fno-omit-frame-pointer
                                                       -fno-sanitize-recover=all)
    # The vptr check asks through a pipe whether memory is readable: at the limit of descriptors, which tests reach, it
    # takes every object for one of another type.
    target_compile_options(dlhandoff_settings INTERFACE -fno-sanitize=vptr)
    target_link_options(dlhandoff_settings INTERFACE -fsanitize=${DLHANDOFF_SANITIZE})
endif()
