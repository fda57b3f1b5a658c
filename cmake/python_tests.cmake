# holdfast_python_tests(PREFIX p FOLDER dir LABEL label BY method|class FILES test_a.py …
#                       [TIMEOUT seconds] [ENVIRONMENT A=B …] [FIXTURES name…])
#
# Lists every test method, or every class, of unittest files with CTest on its own, as
# <prefix>.<module>.<name>. Each is a process that starts what it needs: by class where that takes
# long and the cases are many. They are found when CMake configures, again when a file changes.
function(holdfast_python_tests)
  cmake_parse_arguments(ARG "" "PREFIX;FOLDER;LABEL;BY;TIMEOUT" "FILES;ENVIRONMENT;FIXTURES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set(lister ${PROJECT_SOURCE_DIR}/tools/list_python_tests.py)
  foreach(file IN LISTS ARG_FILES)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARG_FOLDER}/${file})
    execute_process(COMMAND ${Python3_EXECUTABLE} ${lister} ${ARG_BY}
      ${ARG_FOLDER}/${file}
      OUTPUT_VARIABLE tests OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    string(REPLACE "\n" ";" tests "${tests}")
    cmake_path(GET file STEM module)
    string(REGEX REPLACE "^test_" "" short ${module})
    foreach(test IN LISTS tests)
      string(REGEX REPLACE "^.*[.]" "" leaf ${test})
      set(name ${ARG_PREFIX}.${short}.${leaf})
      add_test(NAME ${name} WORKING_DIRECTORY ${ARG_FOLDER}
        COMMAND ${Python3_EXECUTABLE} -B -m unittest -v ${module}.${test})
      set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support;${ARG_ENVIRONMENT}"
        FIXTURES_REQUIRED "${ARG_FIXTURES}")
    endforeach()
  endforeach()
endfunction()
