;; component
(module
  (import "reactor:guest/state@0.1.0" "get" (func (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "cabi_post_handle") (param i32))
  (func (export "handle") (param i32) (result i32) (i32.const 0)))
