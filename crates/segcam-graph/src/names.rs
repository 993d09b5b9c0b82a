//! What operations are called. Users see these names (`conv2d.7` is a layer), so they stand here one by
//! one: a new release of burn cannot change them.

use burn::backend::ir::{
    ActivationOperationIr, BaseOperationIr, BoolOperationIr, DistributedOperationIr,
    FloatOperationIr, IntOperationIr, ModuleOperationIr, NumericOperationIr, OperationIr,
};

/// The kind of an operation as people write it: `conv2d`, `add_scalar`.
pub(crate) fn kind(operation: &OperationIr) -> &'static str {
    match operation {
        OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => {
            base(op)
        }
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => numeric(op),
        OperationIr::Bool(op) => bool(op),
        OperationIr::Int(op) => int(op),
        OperationIr::Float(_, op) => float(op),
        OperationIr::Module(op) => module(op),
        OperationIr::Activation(op) => activation(op),
        OperationIr::Init(_) => "init",
        OperationIr::Custom(_) => "custom",
        OperationIr::Drop(_) => "drop",
        OperationIr::Distributed(DistributedOperationIr::AllReduce(_)) => "all_reduce",
        OperationIr::Distributed(DistributedOperationIr::SyncCollective) => "sync_collective",
    }
}

macro_rules! names {
    ($function:ident, $ir:ident { $($variant:ident $name:literal)* }) => {
        fn $function(op: &$ir) -> &'static str {
            match op {
                $($ir::$variant(..) => $name,)*
            }
        }
    };
}

names! { float, FloatOperationIr {
    Exp "exp" Log "log" Log1p "log1p" Erf "erf" PowfScalar "powf_scalar" Sqrt "sqrt" Cos "cos"
    Cosh "cosh" Sin "sin" Sinh "sinh" Tan "tan" Tanh "tanh" ArcCos "arc_cos" ArcCosh "arc_cosh"
    ArcSin "arc_sin" ArcSinh "arc_sinh" ArcTan "arc_tan" ArcTanh "arc_tanh" ArcTan2 "arc_tan2"
    Round "round" Floor "floor" Ceil "ceil" Trunc "trunc" IntoInt "into_int" Matmul "matmul"
    Cross "cross" Random "random" Recip "recip" IsNan "is_nan" IsInf "is_inf" Quantize "quantize"
    Dequantize "dequantize" GridSample2d "grid_sample2d" Powf "powf" Hypot "hypot"
} }

names! { module, ModuleOperationIr {
    BatchNorm "batch_norm" Embedding "embedding" EmbeddingBackward "embedding_backward"
    Linear "linear" LinearXBackward "linear_x_backward"
    LinearWeightBackward "linear_weight_backward" LinearBiasBackward "linear_bias_backward"
    Conv1d "conv1d" Conv1dXBackward "conv1d_x_backward"
    Conv1dWeightBackward "conv1d_weight_backward" Conv1dBiasBackward "conv1d_bias_backward"
    Conv2d "conv2d" Conv2dXBackward "conv2d_x_backward"
    Conv2dWeightBackward "conv2d_weight_backward" Conv2dBiasBackward "conv2d_bias_backward"
    Conv3d "conv3d" Conv3dXBackward "conv3d_x_backward"
    Conv3dWeightBackward "conv3d_weight_backward" Conv3dBiasBackward "conv3d_bias_backward"
    DeformableConv2d "deformable_conv2d" DeformableConv2dBackward "deformable_conv2d_backward"
    ConvTranspose1d "conv_transpose1d" ConvTranspose2d "conv_transpose2d"
    ConvTranspose3d "conv_transpose3d" AvgPool1d "avg_pool1d" AvgPool2d "avg_pool2d"
    AvgPool1dBackward "avg_pool1d_backward" AvgPool2dBackward "avg_pool2d_backward"
    AdaptiveAvgPool1d "adaptive_avg_pool1d" AdaptiveAvgPool2d "adaptive_avg_pool2d"
    AdaptiveAvgPool1dBackward "adaptive_avg_pool1d_backward"
    AdaptiveAvgPool2dBackward "adaptive_avg_pool2d_backward"
    AdaptiveAvgPool3d "adaptive_avg_pool3d"
    AdaptiveAvgPool3dBackward "adaptive_avg_pool3d_backward" MaxPool1d "max_pool1d"
    MaxPool1dWithIndices "max_pool1d_with_indices"
    MaxPool1dWithIndicesBackward "max_pool1d_with_indices_backward" MaxPool2d "max_pool2d"
    MaxPool2dWithIndices "max_pool2d_with_indices"
    MaxPool2dWithIndicesBackward "max_pool2d_with_indices_backward" Interpolate "interpolate"
    InterpolateBackward "interpolate_backward" Attention "attention" CtcLoss "ctc_loss"
    CtcLossBackward "ctc_loss_backward" LayerNorm "layer_norm" Unfold4d "unfold4d"
    ConvTranspose1dWeightBackward "conv_transpose1d_weight_backward"
    ConvTranspose1dBiasBackward "conv_transpose1d_bias_backward"
    ConvTranspose2dWeightBackward "conv_transpose2d_weight_backward"
    ConvTranspose2dBiasBackward "conv_transpose2d_bias_backward"
    ConvTranspose3dWeightBackward "conv_transpose3d_weight_backward"
    ConvTranspose3dBiasBackward "conv_transpose3d_bias_backward"
} }

names! { base, BaseOperationIr {
    Reshape "reshape" SwapDims "swap_dims" Permute "permute" Flip "flip" Expand "expand"
    Unfold "unfold" Slice "slice" SliceAssign "slice_assign" Select "select"
    SelectAssign "select_assign" MaskWhere "mask_where" MaskFill "mask_fill" Gather "gather"
    Scatter "scatter" ScatterNd "scatter_nd" GatherNd "gather_nd" Equal "equal"
    EqualElem "equal_elem" RepeatDim "repeat_dim" Cat "cat" Cast "cast" Empty "empty" Ones "ones"
    Zeros "zeros" NotEqual "not_equal" NotEqualElem "not_equal_elem" All "all" Any "any"
    AllDim "all_dim" AnyDim "any_dim"
} }

names! { numeric, NumericOperationIr {
    Add "add" AddScalar "add_scalar" Sub "sub" SubScalar "sub_scalar" Div "div"
    DivScalar "div_scalar" Rem "rem" RemScalar "rem_scalar" Mul "mul" MulScalar "mul_scalar"
    Abs "abs" Full "full" MeanDim "mean_dim" Mean "mean" Sum "sum" SumDim "sum_dim"
    SumDims "sum_dims" Prod "prod" ProdDim "prod_dim" Greater "greater" GreaterElem "greater_elem"
    GreaterEqual "greater_equal" GreaterEqualElem "greater_equal_elem" Lower "lower"
    LowerElem "lower_elem" LowerEqual "lower_equal" LowerEqualElem "lower_equal_elem"
    ArgMax "arg_max" ArgTopK "arg_top_k" TopK "top_k" TopKWithIndices "top_k_with_indices"
    ArgMin "arg_min" Max "max" MaxDimWithIndices "max_dim_with_indices"
    MinDimWithIndices "min_dim_with_indices" Min "min" MaxDim "max_dim" MinDim "min_dim"
    MaxAbs "max_abs" MaxAbsDim "max_abs_dim" Clamp "clamp" IntRandom "int_random" Powi "powi"
    PowiScalar "powi_scalar" CumSum "cum_sum" CumProd "cum_prod" CumMin "cum_min" CumMax "cum_max"
    Neg "neg" Sign "sign" ClampMin "clamp_min" ClampMax "clamp_max" Sort "sort"
    SortWithIndices "sort_with_indices" ArgSort "arg_sort" Pad "pad"
} }

names! { int, IntOperationIr {
    IntoFloat "into_float" BitwiseAnd "bitwise_and" BitwiseAndScalar "bitwise_and_scalar"
    BitwiseOr "bitwise_or" BitwiseOrScalar "bitwise_or_scalar" BitwiseXor "bitwise_xor"
    BitwiseXorScalar "bitwise_xor_scalar" BitwiseNot "bitwise_not"
    BitwiseLeftShift "bitwise_left_shift" BitwiseLeftShiftScalar "bitwise_left_shift_scalar"
    BitwiseRightShift "bitwise_right_shift" BitwiseRightShiftScalar "bitwise_right_shift_scalar"
    Matmul "matmul"
} }

names! { bool, BoolOperationIr {
    IntoFloat "into_float" IntoInt "into_int" Not "not" And "and" Or "or" Xor "xor"
} }

names! { activation, ActivationOperationIr {
    Relu "relu" ReluBackward "relu_backward" LeakyRelu "leaky_relu" PRelu "p_relu" Gelu "gelu"
    GeluBackward "gelu_backward" Sigmoid "sigmoid" SigmoidBackward "sigmoid_backward"
    HardSigmoid "hard_sigmoid" LogSigmoid "log_sigmoid" LogSigmoidBackward "log_sigmoid_backward"
    Softmax "softmax" LogSoftmax "log_softmax" Softmin "softmin"
} }

#[cfg(test)]
mod tests {
    use burn::tensor::activation::{leaky_relu, prelu, relu, softmax};
    use burn::tensor::module::{adaptive_avg_pool2d, conv2d, interpolate, max_pool2d};
    use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
    use burn::tensor::{Tensor, TensorData};

    use crate::Graph;

    /// Users write these names down: they must stay what they are.
    #[test]
    fn operations_keep_their_names() {
        let graph = Graph::capture([1, 2, 4, 4], |x: Tensor<4>, names| {
            let weight = TensorData::ones::<f32, _>([2, 2, 1, 1]);
            let weight = Tensor::from_data(weight, &x.device());
            let alpha = Tensor::from_data(TensorData::ones::<f32, _>([2]), &x.device());
            let x = conv2d(x, weight, None, ConvOptions::new([1; 2], [0; 2], [1; 2], 1));
            let x = prelu(leaky_relu(relu(x), 0.1), alpha);
            let x = max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]));
            let x = names.name("mine", softmax(x * 2.0 + 1.0, 1));
            let options = InterpolateOptions::new(InterpolateMode::Bilinear);
            let x = interpolate(x, options.with_output_size([4, 4]));
            let x = Tensor::cat(vec![x.clone(), x.clone().powf_scalar(1.5)], 1);
            let x = x.clone().mask_fill(x.clone().lower_elem(0.5), 0.0) - x.mean_dim(1);
            adaptive_avg_pool2d(x.clamp(-1.0, 1.0).log1p(), [1, 1]).swap_dims(2, 3)
        });
        let graph = graph.expect("a graph");
        let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        let wanted = "mine conv2d.1 relu.1 leaky_relu.1 reshape.1 p_relu.1 max_pool2d.1 mul_scalar.1 \
                      add_scalar.1 interpolate.1 powf_scalar.1 cat.1 mask_fill.1 mean_dim.1 sub.1 \
                      clamp.1 log1p.1 adaptive_avg_pool2d.1 swap_dims.1";
        assert_eq!(names.join(" "), wanted);
    }
}
