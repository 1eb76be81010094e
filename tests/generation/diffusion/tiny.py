"""Tiny pipelines with random weights, saved like those on the hub, and LoRA weights for them."""

import diffusers
import torch
import transformers
from peft import LoraConfig, get_peft_model_state_dict
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from synthpairs.core.schema import noise_seed
from tests.conftest import tiny_tokenizer


def vae(force_upcast=False, channels=4, levels=3, **more):
    """With three levels latents have a quarter of the picture's side, with four an eighth."""
    return diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=[8, *[16] * (levels - 1)], latent_channels=channels, norm_num_groups=8, sample_size=32,
        mid_block_add_attention=False, force_upcast=force_upcast, **more,
    )  # fmt: skip


def clip_config(intermediate_size=32, **more):
    """Two layers 32 wide, for tiny_tokenizer."""
    tokenizer = tiny_tokenizer()
    return transformers.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=intermediate_size,
        num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, projection_dim=32, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **more,
    )  # fmt: skip


def unet(cross, conditions, pooled=32):
    """An SDXL denoiser conditioned on so many sizes and scores."""
    return diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=[16, 32],
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=cross, attention_head_dim=4, norm_num_groups=8, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=conditions * 8 + pooled,
        use_linear_projection=True,
    )  # fmt: skip


def sdxl(folder, force_upcast=False, levels=3):
    """Like SDXL's base: two text encoders, zeros for no negative prompt, Euler."""
    torch.manual_seed(1)
    return _saved(
        diffusers.StableDiffusionXLPipeline(
            vae=vae(force_upcast, levels=levels), unet=unet(64, 6), tokenizer=tiny_tokenizer(),
            text_encoder=transformers.CLIPTextModel(clip_config()),
            text_encoder_2=transformers.CLIPTextModelWithProjection(clip_config()), tokenizer_2=tiny_tokenizer(),
            scheduler=diffusers.EulerDiscreteScheduler(), add_watermarker=False,
        ),
        folder,
    )  # fmt: skip


def refiner(folder, levels=3):
    """Like SDXL's refiner: the second text encoder alone, aesthetic scores; the VAE has other weights than the base's."""
    torch.manual_seed(2)
    return _saved(
        diffusers.StableDiffusionXLImg2ImgPipeline(
            vae=vae(levels=levels), unet=unet(32, 5), text_encoder=None, tokenizer=None,
            text_encoder_2=transformers.CLIPTextModelWithProjection(clip_config()), tokenizer_2=tiny_tokenizer(),
            scheduler=diffusers.EulerDiscreteScheduler(), requires_aesthetics_score=True, force_zeros_for_empty_prompt=False,
            add_watermarker=False,
        ),
        folder,
    )  # fmt: skip


def lora(folder, base, file="tiny_lora.safetensors"):
    """LoRA weights for the denoiser of an SDXL pipeline, none of them zero."""
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(base, add_watermarker=False)
    torch.manual_seed(3)
    pipeline.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = {name: 3 * weights for name, weights in get_peft_model_state_dict(pipeline.unet).items()}
    diffusers.StableDiffusionXLPipeline.save_lora_weights(folder, unet_lora_layers=layers, weight_name=file)
    return folder


def t5_tokenizer():
    """A token for every word and a marker at the end, like T5's."""
    words = ["<pad>", "</s>", "<unk>", *["a", "red", "dog", "two", "cats", "bus", "bell", "word"]]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def t5():
    """One layer 64 wide."""
    return transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=16, d_model=64, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    )


def sd3(folder, levels=3):
    """Stable Diffusion 3: two CLIP encoders and T5."""
    torch.manual_seed(4)
    return _saved(
        diffusers.StableDiffusion3Pipeline(
            transformer=diffusers.SD3Transformer2DModel(
                sample_size=16, patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
                joint_attention_dim=64, caption_projection_dim=16, pooled_projection_dim=64, out_channels=4,
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.0, levels=levels),
            text_encoder=transformers.CLIPTextModelWithProjection(clip_config()), tokenizer=tiny_tokenizer(),
            text_encoder_2=transformers.CLIPTextModelWithProjection(clip_config()), tokenizer_2=tiny_tokenizer(),
            text_encoder_3=t5(), tokenizer_3=t5_tokenizer(),
        ),
        folder,
    )  # fmt: skip


def pixart(folder):
    """PixArt-alpha: T5 alone, sizes in bins by default."""
    torch.manual_seed(5)
    return _saved(
        diffusers.PixArtAlphaPipeline(
            transformer=diffusers.PixArtTransformer2DModel(
                sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2,
                caption_channels=64, in_channels=4, cross_attention_dim=16, out_channels=8, norm_num_groups=1,
                use_additional_conditions=False,
            ),
            scheduler=diffusers.DPMSolverMultistepScheduler(), vae=vae(), text_encoder=t5(), tokenizer=t5_tokenizer(),
        ),
        folder,
    )  # fmt: skip


def flux(folder):
    """Flux: latents packed two by two, CLIP for the pooled embedding, T5 for the rest."""
    torch.manual_seed(6)
    return _saved(
        diffusers.FluxPipeline(
            transformer=diffusers.FluxTransformer2DModel(
                patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
                num_attention_heads=2, joint_attention_dim=64, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
                guidance_embeds=True,
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.0),
            text_encoder=transformers.CLIPTextModel(clip_config()), tokenizer=tiny_tokenizer(), text_encoder_2=t5(),
            tokenizer_2=t5_tokenizer(),
        ),
        folder,
    )  # fmt: skip


def _saved(pipeline, folder):
    pipeline.save_pretrained(folder)
    return folder


def plain_picture(pipeline, key, text, generator=None, **settings):
    """A picture of the plain pipeline from the key's noise, drawn with `generator`; settings are arguments of its call."""
    source = (generator or torch.Generator()).manual_seed(noise_seed(key))
    noise = torch.randn(1, 4, 8, 8, generator=source)
    if isinstance(pipeline, diffusers.FluxPipeline):
        noise = pipeline._pack_latents(noise, 1, 4, 8, 8)
    common = {"latents": noise, "generator": source, "height": 32, "width": 32, "guidance_scale": 3.0}
    return pipeline(text, **common | {"num_inference_steps": 2, "output_type": "np"} | settings).images[0]
