# Compiler flags: C17, every useful warning, hardening in optimised builds.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")

# Small functions of one folder are inlined into the next: a fifth of the CPU of a request. gcc's -O2 is shy of inlining,
# so it gets the measures of -O3 for this one thing.
include(CheckIPOSupported)
check_ipo_supported(RESULT KERB_IPO OUTPUT KERB_IPO_WHY LANGUAGES C)
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE ${KERB_IPO})
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  string(APPEND CMAKE_C_FLAGS_RELEASE " --param=max-inline-insns-auto=30 --param=inline-min-speedup=15")
endif()

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(kerb_flags INTERFACE)
target_include_directories(kerb_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(kerb_flags INTERFACE _GNU_SOURCE KERB_VERSION="${PROJECT_VERSION}")
target_compile_options(kerb_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -fno-common -fstack-protector-strong -fstack-clash-protection
  $<$<BOOL:${KERB_WERROR}>:-Werror>)
target_link_options(kerb_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(kerb_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(KERB_SANITIZE)
  target_compile_options(kerb_flags INTERFACE
    -fsanitize=${KERB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(kerb_flags INTERFACE -fsanitize=${KERB_SANITIZE})
endif()

# A folder of the house: static library NAME of the SOURCES, linking what its arrow allows.
function(kerb_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC kerb_flags ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

function(kerb_program name)
  cmake_parse_arguments(ARG "SBIN" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE kerb_flags ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  if(ARG_SBIN)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
  else()
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()
